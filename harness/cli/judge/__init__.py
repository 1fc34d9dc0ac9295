"""Commands that judge, show and pack what runs left behind."""
