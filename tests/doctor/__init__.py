"""`pushpull doctor`: each fault planted, one at a time, in facts and in real servers."""
