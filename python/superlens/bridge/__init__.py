"""The Fiji side doors: one protocol, one `dispatch`, a worker process and an in-process host behind the same menus.

`protocol` says what a call looks like, `menu` which parameters each command has, `dispatch` does a call. `worker` offers
it to another process over shared memory, `inprocess` to a Java that runs in this one, `launch` starts Fiji with it. The plugin
in `fiji-plugin/` is the other side; both sides test against the files in ``tests/protocol``.

Nothing here decides anything about images: a call is translated, with the command line's own options, into the same functions
that Python and the command line use, so that the pixels are the same.
"""
