"""An errand from what was asked to what is delivered, the same for a shell, Fiji and a notebook.

`verbs` lists what can be asked for, `verb` says what a request and its outcome are, `choices` holds the parameters that verbs share. The
other modules do the work, one for each kind of it, and nothing here knows flags, dialogs or windows: a refusal names the parameter, and
each door words it.
"""
