"""From the bytes of one file to the blocks, text and sections of its documents, in a limited child process."""
