"""The library behind the book *Recurrent Neural Networks, Line by Line*.

The core is what the chapters teach and import, one file a topic. A file imports only
what stands before it on this map::

    datasets, records                        the two corpora; what was recorded
    text, batching                           characters, ids, minibatches
    rnn, lstm, bptt                          layers, and their gradients by hand
    language_model, measuring, generation    the model, its score, what it writes
    clipping, stepping, training             one training step for everything
    names                                    surnames: read, side by side, held out
    classifier                               their languages
    reference                                d2l 0.17.0, to be checked against

Below the core, and importing none of it::

    support        what a user hands in, or its refusal; files; what an extra brings

Around the core, and never imported by it::

    classify       the classifier that ships: door, network, file and command
    laboratory     what only the laboratories use; imports the core, and classify
    drawing        the book's figures; imports the core
    experiments    what makes the records and the files that ship; imports all

Import from the modules; the package itself holds no names. Sizes, everywhere: ``N``
sequences in a minibatch, ``T`` time steps, ``V`` tokens in the vocabulary, ``H`` hidden
units, ``D`` input features.
"""
