"""The library behind the book *Recurrent Neural Networks, Line by Line*.

One file a topic, data flowing from left to right::

    datasets -> text | names -> batching -> rnn -> language_model
        -> training -> generation

beside them ``checks`` (what a user hands in), ``clipping``, ``measuring``, ``ngram``
(the baseline), ``plotting`` (the book's figures) and ``reference`` (d2l 0.17.0, which
the chapters are checked against). Import from the modules; the package itself holds no
names.

Sizes, everywhere: ``N`` sequences in a minibatch, ``T`` time steps, ``V`` tokens
in the vocabulary, ``H`` hidden units, ``D`` input features.
"""
