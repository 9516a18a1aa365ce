"""One script that measures this project on whatever GPU it finds: see README.md."""
