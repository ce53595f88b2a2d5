"""What every package uses: errors, files, progress, seeds, processes, the look of figures."""
