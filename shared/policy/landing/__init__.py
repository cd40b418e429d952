"""Whether mail from a domain will land: what its records in the DNS say, judged without sending anything."""
