"""The papers that the tricks come from, ready to cite. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A publication.

    Attributes:
        key: BibTeX key.
        short: Authors and year, for tables.
        kind: BibTeX entry type.
        fields: BibTeX fields.
    """

    key: str
    short: str
    kind: str
    fields: tuple[tuple[str, str], ...]

    @property
    def bibtex(self) -> str:
        """The BibTeX entry."""
        lines = [f"  {name} = {{{value}}}," for name, value in self.fields]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


NNUNET = Paper(
    key="isensee2021nnunet",
    short="Isensee et al. 2021",
    kind="article",
    fields=(
        (
            "author",
            "Isensee, Fabian and Jaeger, Paul F. and Kohl, Simon A. A. and Petersen, Jens and Maier-Hein, Klaus H.",
        ),
        ("title", "{nnU-Net}: a self-configuring method for deep learning-based biomedical image segmentation"),
        ("journal", "Nature Methods"),
        ("volume", "18"),
        ("number", "2"),
        ("pages", "203--211"),
        ("year", "2021"),
        ("doi", "10.1038/s41592-020-01008-z"),
    ),
)

UNET = Paper(
    key="ronneberger2015unet",
    short="Ronneberger et al. 2015",
    kind="inproceedings",
    fields=(
        ("author", "Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas"),
        ("title", "{U-Net}: Convolutional networks for biomedical image segmentation"),
        ("booktitle", "Medical Image Computing and Computer-Assisted Intervention (MICCAI)"),
        ("pages", "234--241"),
        ("year", "2015"),
        ("doi", "10.1007/978-3-319-24574-4_28"),
    ),
)

VNET = Paper(
    key="milletari2016vnet",
    short="Milletari et al. 2016",
    kind="inproceedings",
    fields=(
        ("author", "Milletari, Fausto and Navab, Nassir and Ahmadi, Seyed-Ahmad"),
        ("title", "{V-Net}: Fully convolutional neural networks for volumetric medical image segmentation"),
        ("booktitle", "Fourth International Conference on 3D Vision (3DV)"),
        ("pages", "565--571"),
        ("year", "2016"),
        ("doi", "10.1109/3DV.2016.79"),
    ),
)

TVERSKY = Paper(
    key="salehi2017tversky",
    short="Salehi et al. 2017",
    kind="inproceedings",
    fields=(
        ("author", "Salehi, Seyed Sadegh Mohseni and Erdogmus, Deniz and Gholipour, Ali"),
        ("title", "Tversky loss function for image segmentation using {3D} fully convolutional deep networks"),
        ("booktitle", "Machine Learning in Medical Imaging (MLMI)"),
        ("pages", "379--387"),
        ("year", "2017"),
        ("doi", "10.1007/978-3-319-67389-9_44"),
    ),
)

FOCAL = Paper(
    key="lin2017focal",
    short="Lin et al. 2017",
    kind="inproceedings",
    fields=(
        ("author", "Lin, Tsung-Yi and Goyal, Priya and Girshick, Ross and He, Kaiming and Doll{\\'a}r, Piotr"),
        ("title", "Focal loss for dense object detection"),
        ("booktitle", "IEEE International Conference on Computer Vision (ICCV)"),
        ("pages", "2980--2988"),
        ("year", "2017"),
        ("doi", "10.1109/ICCV.2017.324"),
    ),
)

FOCAL_TVERSKY = Paper(
    key="abraham2019focaltversky",
    short="Abraham and Khan 2019",
    kind="inproceedings",
    fields=(
        ("author", "Abraham, Nabila and Khan, Naimul Mefraz"),
        ("title", "A novel focal {Tversky} loss function with improved attention {U-Net} for lesion segmentation"),
        ("booktitle", "IEEE 16th International Symposium on Biomedical Imaging (ISBI)"),
        ("pages", "683--687"),
        ("year", "2019"),
        ("doi", "10.1109/ISBI.2019.8759329"),
    ),
)

OHEM = Paper(
    key="shrivastava2016ohem",
    short="Shrivastava et al. 2016",
    kind="inproceedings",
    fields=(
        ("author", "Shrivastava, Abhinav and Gupta, Abhinav and Girshick, Ross"),
        ("title", "Training region-based object detectors with online hard example mining"),
        ("booktitle", "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)"),
        ("pages", "761--769"),
        ("year", "2016"),
        ("doi", "10.1109/CVPR.2016.89"),
    ),
)

DEEP_SUPERVISION = Paper(
    key="lee2015deeply",
    short="Lee et al. 2015",
    kind="inproceedings",
    fields=(
        ("author", "Lee, Chen-Yu and Xie, Saining and Gallagher, Patrick and Zhang, Zhengyou and Tu, Zhuowen"),
        ("title", "Deeply-supervised nets"),
        ("booktitle", "Artificial Intelligence and Statistics (AISTATS)"),
        ("pages", "562--570"),
        ("year", "2015"),
    ),
)
