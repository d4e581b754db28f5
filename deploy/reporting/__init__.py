"""What the factory tells people: alerts, the daily report and its summary, and the verdicts of the checks."""
