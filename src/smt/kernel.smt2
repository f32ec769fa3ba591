
; What the kernel does.

; A way through a hook, as it begins. What came over loopback has its connection already.
(define-fun start () Way
  (let ((w (with-source (with-destination nowhere destination) source)))
  (let ((w (with-source-port (with-destination-port w destination-port) source-port)))
  (let ((w (with-mark (with-routed (with-connmark w connmark) mark) mark)))
  (with-tracked w
    (ite (or (= hook output) (and (= hook prerouting) (distinct in-interface lo))) #b0 #b1))))))

; Whether rules run; what else a packet can have come to.
(define-fun goes-on () (_ BitVec 2) #b00)
(define-fun returned () (_ BitVec 2) #b01)
(define-fun accepted () (_ BitVec 2) #b10)
(define-fun dropped () (_ BitVec 2) #b11)
(define-fun runs ((w Way)) Bool (= (flow-of w) goes-on))
(define-fun is-dropped ((w Way)) Bool (= (flow-of w) dropped))

; What matches see by now.
(define-fun seen-state ((w Way)) State (ite (= (tracked-of w) #b1) state invalid))
(define-fun is-connected ((w Way)) Bool (has-connection (seen-state w)))
(define-fun is-translated ((w Way)) Bool (= (moved-of w) #b1))
(define-fun translation-kind ((w Way)) (_ BitVec 2) ((_ extract 146 145) (translation-of w)))
(define-fun translation-port ((w Way)) (_ BitVec 16) ((_ extract 143 128) (translation-of w)))
(define-fun translation-address ((w Way)) Address ((_ extract 127 0) (translation-of w)))
(define-fun is-loopback ((a Address)) Bool
  (ite is-ipv6 (= a (_ bv1 128)) (= ((_ extract 31 24) a) #x7f)))
(define-fun leads-here ((w Way)) Bool
  (or (= (translation-kind w) #b01)
      (and (= (translation-kind w) #b11) (is-loopback (translation-address w)))))
(define-fun source-is-other ((w Way)) Bool (and (is-translated w) translates-source))
(define-fun destination-is-other ((w Way)) Bool (and (is-translated w) translates-destination))
(define-fun is-source-local ((w Way)) Bool
  (ite (source-is-other w) (or (leads-here w) translated-is-local) source-is-local))
(define-fun is-destination-local ((w Way)) Bool
  (ite (destination-is-other w) (or (leads-here w) translated-is-local) destination-is-local))
(define-fun is-taken ((w Way)) Bool (= ((_ extract 16 16) (proxy-of w)) #b1))
(define-fun seen-sender ((w Way)) Sender
  (ite (or (= hook input) (= hook output) (= hook postrouting)
           (and (= hook prerouting) (is-taken w)))
    sender nobody))

; Actions.
(define-fun accept ((w Way)) Way (with-flow w accepted))
(define-fun drop ((w Way)) Way (with-flow w dropped))
(define-fun return ((w Way)) Way (with-flow w returned))
(define-fun redirect ((w Way) (port (_ BitVec 16))) Way
  (accept (with-translation w (concat #b011 (concat port (_ bv0 128))))))
(define-fun snat ((w Way) (to Address)) Way
  (accept (with-translation w (concat #b100 (concat #x0000 to)))))
(define-fun dnat ((w Way) (to Address)) Way
  (accept (with-translation w (concat #b110 (concat #x0000 to)))))
(define-fun dnat-port ((w Way) (to Address) (port (_ BitVec 16))) Way
  (accept (with-translation w (concat #b111 (concat port to)))))
(define-fun changed ((old (_ BitVec 32)) (clear (_ BitVec 32)) (flip (_ BitVec 32))) (_ BitVec 32)
  (bvxor (bvand old (bvnot clear)) flip))
(define-fun tproxy ((w Way) (port (_ BitVec 16)) (clear (_ BitVec 32)) (flip (_ BitVec 32))) Way
  (accept (with-mark (with-proxy w (concat #b1 port)) (changed (mark-of w) clear flip))))
(define-fun set-mark ((w Way) (clear (_ BitVec 32)) (flip (_ BitVec 32))) Way
  (with-mark w (changed (mark-of w) clear flip)))
(define-fun set-connmark ((w Way) (clear (_ BitVec 32)) (flip (_ BitVec 32))) Way
  (ite (is-connected w) (with-connmark w (changed (connmark-of w) clear flip)) w))
(define-fun save-mark ((w Way) (packet (_ BitVec 32)) (connection (_ BitVec 32))) Way
  (set-connmark w connection (bvand (mark-of w) packet)))
(define-fun restore-mark ((w Way) (packet (_ BitVec 32)) (connection (_ BitVec 32))) Way
  (ite (is-connected w) (set-mark w packet (bvand (connmark-of w) connection)) w))
(define-fun set-zone ((w Way) (zone (_ BitVec 16))) Way
  (ite (or (= (tracked-of w) #b1) (= ((_ extract 16 16) (zone-of w)) #b1))
    w (with-zone w (concat #b1 zone))))

; The end of a chain: behind a jump the next rule runs, behind a goto the chain that it was in ends.
(define-fun jumped ((w Way)) Way (ite (= (flow-of w) returned) (with-flow w goes-on) w))
(define-fun gone ((w Way)) Way (ite (runs w) (return w) w))
; Behind a base chain the next one runs. One of type route routes again where it changed the mark.
(define-fun left-base ((w Way)) Way (ite (is-dropped w) w (with-flow w goes-on)))
(define-fun left-route ((before Way) (w Way)) Way
  (ite (and (= hook output) (distinct (mark-of before) (mark-of w)))
    (with-routed (left-base w) (mark-of w)) (left-base w)))

; The connection is looked up.
(define-fun track ((w Way)) Way (with-tracked w #b1))

; Whether a nat chain is asked.
(define-fun asks ((w Way)) Bool
  (and (runs w) (= decided nothing) (= (translation-kind w) #b00)))

; An end becomes another. A packet from this machine is routed again.
(define-fun lands ((w Way) (address Address) (port (_ BitVec 16))) Way
  (let ((port (ite has-ports port (_ bv0 16))))
  (ite translates-source
    (with-source (with-source-port (with-moved w #b1) port) address)
    (with-destination (with-destination-port (with-moved
      (ite (and (= hook output)
                (or (= decided becomes) (distinct (destination-of w) address)))
        (with-routed w (mark-of w)) w)
      #b1) port) address))))
(define-fun loopback () Address (ite is-ipv6 (_ bv1 128) (_ bv2130706433 128)))
(define-fun old-port ((w Way)) (_ BitVec 16)
  (ite translates-source (source-port-of w) (destination-port-of w)))
(define-fun translate ((w Way)) Way
  (ite (or (not (runs w)) (= decided unchanged)) w
  (ite (= decided becomes) (lands w becomes-address becomes-port)
  (ite (= (translation-kind w) #b01)
    (lands w (ite (= hook output) loopback interface-address) (translation-port w))
  (ite (= (translation-kind w) #b00) w
    (lands w (translation-address w)
      (ite (= ((_ extract 144 144) (translation-of w)) #b1) (translation-port w) (old-port w))))))))

; Whether two ways come to the same. Of a dropped packet only the mark counts that it left on its
; connection, if it did not begin that.
(define-fun alike ((a Way) (b Way)) Bool
  (ite (or (is-dropped a) (is-dropped b))
    (and (is-dropped a) (is-dropped b)
         (or (= state new) (= (connmark-of a) (connmark-of b))))
    (and (= (translation-of a) (translation-of b))
         (= (proxy-of a) (proxy-of b))
         (= (zone-of a) (zone-of b))
         (= (mark-of a) (mark-of b))
         (= (connmark-of a) (connmark-of b))
         (or (distinct hook output) (= (routed-of a) (routed-of b))))))
