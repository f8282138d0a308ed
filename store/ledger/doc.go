// Package ledger owns the streams that the system keeps about itself in the log of a
// namespace: what operators did (annals-audit, 256 streams a month) and which data
// subjects were forgotten (annals-subject, one stream each). It appends to them and reads
// them.
//
// It never does what it writes down, and it knows nothing of who may do it.
package ledger
