"""From the ini file an admin edits to frozen settings that know which line they came from."""
