// Package views holds the read models of the example: four values that say
// which documents an event of an application touches and how it changes them.
//
//	applications  a document for each application: where it stands
//	activities    a document for each activity and life-cycle step: how often
//	workload      a document for each employee: how much was done
//	outcomes      a document for each outcome: how many applications, what sum
//
// It owns the shape of these documents, which clients read. It never decides
// anything, and knows of an application only what its events say.
package views
