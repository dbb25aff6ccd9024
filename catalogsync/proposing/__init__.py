"""A mapping proposed from a sheet, a catalog's fields and its elements (``catalogsync init``).

words        what a header says: the same word in another language, alphabet or abbreviation (lexicon.txt)
evidence     what a column's cells say: their type, the settings that read them, what they look like
targets      what a column may fill: the name, a field, a part of an address
matching     which column fills which field: scores from both, and a choice one to one
newfields    a field for a column that has none: its type, its options
proposal     the whole: lines with scores and reasons, the key, the fields that are lacking
mappingtext  a proposal as a mapping file that a person can go on with
drafting     sheet and catalog are read, fields are created if asked
"""
