// Package archive closes the books of long streams: it moves the old commits of
// a log into files in a vault, in a way that nothing is taken out of the log that
// was not read back, and gives a log what was moved.
//
// It owns what such a vault holds for a namespace, and the order of the steps by
// which commits get there. It never folds a state and never decides where a
// stream is cut; who asks for a run does. It never takes the last commit of a
// stream.
package archive
