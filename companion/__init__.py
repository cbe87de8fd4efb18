"""The library behind the book *Recurrent Neural Networks, Line by Line*.

The core is what the chapters teach and import, one file a topic, data flowing from left
to right::

    datasets -> text | names -> batching | padding -> rnn | lstm | bptt
        -> language_model | classifier -> training -> measuring, generation

beside them ``checks`` (what a user hands in), ``clipping`` and ``reference`` (d2l
0.17.0, which the chapters are checked against). Around the core, and never imported by
it:

- ``laboratory``: what only the laboratories use;
- ``drawing``: the book's figures;
- ``experiments``: the long runs that are recorded, and what makes the files that ship.

Import from the modules; the package itself holds no names.

Sizes, everywhere: ``N`` sequences in a minibatch, ``T`` time steps, ``V`` tokens
in the vocabulary, ``H`` hidden units, ``D`` input features.
"""
