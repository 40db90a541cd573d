"""The run folder: the durable record of what is done, resume, locking, atomic writes."""
