"""Scripts of the maintainers: they make the demo model and the bundled data. The program itself never imports them."""
