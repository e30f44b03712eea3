"""Signs releases: what the maker of packages does and no box ever can."""
