"""Whether lips and voice belong together, from what measuring the offset leaves behind: no proof, but
evidence."""
