"""``amdm studio``: a page in the browser that draws a layout, generates from it, and shows what came of it.

The page is gradio's (extra ``ui``), imported by ``app`` and ``serve`` alone; everything else here is plain functions.
"""
