"""What an appointment means for a person's presence: values in, values out.

No input or output, no clock, no tasks and no logging live here, so that every rule can be tested as a
table. Everything is stated in the words of docs/glossary.md.
"""
