"""What follows from the recorded rows of an envelope: outcomes in words, the next envelopes, events, dead letters.

Nearly pure, and knows nothing of the dispatcher: recalls, dead letters and the watch go by it as well.
"""
