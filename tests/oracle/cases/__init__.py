"""The goldens, by kind of operator; importing a module registers its cases."""
