SELECT '1' AS row
