"""The workers and devices of one job: who they are, how they agree, stop and never hang."""
