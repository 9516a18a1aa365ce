"""What a generated defect is worth by itself: a judge, and measures of image and of set."""
