"""What to do and why: policy, alarms, commands and the records they leave."""
