"""Link to the host: frames, serial line, durable outbox."""
