"""Whether this machine can do a job, and how long it will take, before it begins."""
