package actor

// Differences is differences, for tests with trees that no state has.
var Differences = differences
