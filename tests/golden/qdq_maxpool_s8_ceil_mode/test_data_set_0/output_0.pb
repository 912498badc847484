ByJ€\@a\vvA\vvA0i`uFccjX5lj1#"F1cVA/x6v777@aaERrrYRrrF<+rrRRJJRk\JCk\ZY~~ZAX/OwE8QQneeYbtT]jDw rrbJh9]]8ZY
88Y