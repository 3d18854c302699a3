"""How the notebooks are run: contract, workflow, execution, book."""
