"""The remote lists API as a real HTTP server on a real SQLite database.

    wire.py      a call, an answer, the refusals that every version of the API shares
    model.py     account, list, field, option, element; the field types with their numbers
    values.py    one neutral form per field type, and what a person may write instead
    database.py  the SQLite file
    store.py     behaviour on it, no HTTP
    extras.py    what only version 4 stores
    v2_*.py      API v2: value shapes, batches, elements, lists, fields, account
    v4_*.py      API v4: routes, envelope, value shapes, elements, lists, fields with options and groups
    limits.py    requests per second, and the block after sustained excess
    faults.py    what goes wrong on demand; damage.py to answers, edits.py by another user, late.py afterwards,
                 normalising.py in the store
    forms.py     bodies of old PHP clients
    oauth.py     the token endpoint
    changes.py   what happened to elements, for v4_events.py to tell
    control.py   the routes that steer the emulator
    openapi.py   what the API takes and answers as OpenAPI; openapi_v2.py and openapi_v4*.py are its halves,
                 openapi_parts.py what they share
    knobs.py     the questions the vendor's pages leave open, as switches
    seed.py      an account from a YAML or JSON file
    port.py      a port and the thread that serves it
    server.py    Emulator: all of it together

It imports nothing of catalogsync outside this package: what it expects of a request comes from the
vendor's pages, never from the client. Start with ``from catalogsync.emulator.server import Emulator``;
this file imports nothing, so that a command which needs no emulator does not pay for a web server.
"""
