"""The benchmark: what a delivery, a send, a page and a connection cost, measured on real processes and sockets.

Every workload starts a Redis and a `pushpull serve` of its own and drives them from other processes. Costs are what
the operating system charged to each process; times are of one clock that all processes of a machine share.

    scale     how large each workload is: quick, full, or tiny for the tests
    service   Redis and the service, started for one workload and ended with it
    floor     the yardstick: the same bytes to as many connections by a plain loop of send
    child     a process of the benchmark's own that is asked by lines of JSON
    load      the process with the devices; wire, device, trickle, crowd, sending, pulling, lanes are its parts
    fleet     all load processes, as the workloads see them
    cpu       processor time and memory of a process; redis_stats: what Redis did; meter: both, over a stretch of time
    spread    how long something took
    figures   a measured value beside its target
    workloads one module each
    run       one after the other, several times; report: the table and the JSON; plots: the pictures
"""
