"""`pushpull tune`: what each way of delivery costs on this machine, and the settings that follow.

sweep      how large, how fast and how many who look: the grid, and the sizes of a run
measure    one stretch of one way of delivery through a real service: work, processor time, latency
fit        from stretches to the price of a frame, an ack, a notice, a pull
crossover  where one way becomes cheaper than the other
advice     the settings that follow, and what they save
regret     what a fixed threshold costs over the sweep, beside the better way at each point
run        all of it, one after the other
report     as text; plots: as pictures; write: into a settings file
"""
