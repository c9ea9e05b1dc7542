package passenger

// list is a doubly linked list whose nodes are part of their elements, so that
// an element joins and leaves without allocation and without a search. The
// zero value is an empty list.
type list[T any] struct {
	head, tail *node[T]
	size       int
}

// node is an element's place in one list.
type node[T any] struct {
	prev, next *node[T]
	in         *list[T]
	elem       *T
}

func (l *list[T]) len() int { return l.size }

func (l *list[T]) first() *T {
	if l.head == nil {
		return nil
	}

	return l.head.elem
}

// push appends elem, whose place is n. It must not be in a list.
func (l *list[T]) push(n *node[T], elem *T) {
	n.elem, n.in, n.prev = elem, l, l.tail
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}

	l.tail = n
	l.size++
}

// leave takes the element out of the list it is in, if any.
func (n *node[T]) leave() {
	l := n.in
	if l == nil {
		return
	}

	if n.prev == nil {
		l.head = n.next
	} else {
		n.prev.next = n.next
	}

	if n.next == nil {
		l.tail = n.prev
	} else {
		n.next.prev = n.prev
	}

	n.prev, n.next, n.in = nil, nil, nil
	l.size--
}

// all yields the elements in order. The element that is yielded may leave.
func (l *list[T]) all(yield func(*T) bool) {
	for n := l.head; n != nil; {
		next := n.next // before elem leaves
		if !yield(n.elem) {
			return
		}

		n = next
	}
}
