/* In place of the theme's script of 1.5 MB, which turns icons into drawings: the theme's
   style sheet has the same icons as a font, and every page loads that. */
