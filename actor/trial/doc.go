// Package trial tells before a deployment what a build would make of a log: a
// [Trial] reads what is stored with this build's aggregates and views.
//
// [Trial.Schema] decodes and folds everything, and reports what would fail.
// [Trial.Whatif] decides again the commands that were kept, and reports what
// would have been decided otherwise, and which states would differ.
//
// It owns the walk through the log in passes of bounded memory. It never writes,
// serves nothing, and knows no network.
package trial
