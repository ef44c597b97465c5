package dag

// SplitOn is Split on a number of threads of the test's choice.
var SplitOn = split
