"""What four ways of delivery cost a population that no machine here holds.

population  who talks with whom, how much, and who looks: sizes and rates by heavy tails
reckoning   the cost of each rule over the population: processor time, bytes, commands of Redis
picture     the plot
"""
