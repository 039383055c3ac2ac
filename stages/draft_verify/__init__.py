"""DraftVerify: a target model judges proposed tokens, many in one pass. One file a method."""
