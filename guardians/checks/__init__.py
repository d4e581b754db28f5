"""What the integrity guardian compares the record with, a file each, and how it says what it found."""
