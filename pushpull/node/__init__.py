"""One running process: sessions, feeds, fan-out, and the tasks that keep them true."""
