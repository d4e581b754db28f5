"""What is done at its hour where no systemd does it: backups, looks, the end of the day, room on the disk, messages."""
