// Package evolution has a parcel service as three releases of it were built, one
// after the other on one log, and shows that the third loads, projects and decides
// what the first wrote.
//
// It owns the three builds and their tests. It never runs in the product.
package evolution
