"""The torch side: what a worker process builds, checks and measures. Nothing else imports torch."""
