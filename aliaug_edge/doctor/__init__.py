"""What is installed, what can run here, and what to do about the rest."""

from aliaug_edge.doctor.hardware import Hardware, read_hardware
from aliaug_edge.doctor.report import doctor_report
from aliaug_edge.doctor.text import doctor_text

__all__ = ["Hardware", "doctor_report", "doctor_text", "read_hardware"]
