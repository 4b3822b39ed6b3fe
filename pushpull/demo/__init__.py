"""The demo: a hot group and many small ones, real devices over real sockets, every delivery checked.

Two processes beside the service. The one the person sees (`director`) starts things, asks the service for its counts
and draws; the other (`fleet`) holds all devices and does all the sending, so that drawing never delays a device.

    plan      who is in which conversation, who is flaky, how much is sent
    ledger    what was stored and what each device showed: the check
    latency   how long messages took
    wire      one WebSocket; device: one device on it, by the client library's own rules
    fleet     the process with all devices; sending, mischief and inspection are its parts
    reports   what the fleet tells the director; child: how such a process is ended
    service   a service started for the demo, and ended with it
    readings  the service's own counts
    summary   the end; view: the terminal meanwhile
"""
