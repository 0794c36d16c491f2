"""Commands of ``amdm`` that have parts of their own."""
