"""BM3D for colour images, compiled at run time, written from the papers.

Dabov, Foi, Katkovnik and Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
filtering", IEEE TIP 16(8), 2007; Lebrun, "An analysis and implementation of the BM3D image denoising
method", IPOL 2012."""
